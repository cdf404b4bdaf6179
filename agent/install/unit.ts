export const unitName = "kvm-vdi-agent.service";
export const unitPath = `/etc/systemd/system/${unitName}`;

/**
 * The agent as a service. When it stops, it ends its own jobs and cleans up after them; machines and their QEMU are
 * libvirt's and go on. It needs root for libvirt and images anywhere, writes beside its executable when it is updated,
 * and nothing of what is taken from it below. Not taken: devices. PrivateDevices, and ProtectClock by what it implies,
 * would hide /dev/kvm from the probe guest and disks from qemu-img.
 */
export const unitText = (executable: string): string =>
  `[Unit]
Description=KVM-VDI agent
After=network.target libvirtd.service virtqemud.socket
Wants=libvirtd.service
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${executable} agent
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60
LimitNOFILE=65536
UMask=0022
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths=${executable.slice(0, executable.lastIndexOf("/"))}
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;
