import { FakeAgent } from "../support/fake_agent.ts";
import { type ContractSubject, testAgentContract } from "../support/agent_contract.ts";
import type { ImageFile } from "../../contracts/hypervisor.ts";

const file = (path: string, kind: ImageFile["kind"]): ImageFile => ({
  path,
  name: path.split("/").at(-1)!,
  kind,
  format: kind === "iso" ? "raw" : "qcow2",
  bytes: 1024,
  virtualBytes: 16 * 2 ** 20,
});

function startFake(): Promise<ContractSubject> {
  const [diskPath, isoPath] = ["/images/golden.qcow2", "/images/install.iso"];
  // An empty machine never shuts down by itself.
  const imageFiles = [file(diskPath, "disk"), file(isoPath, "iso")];
  const agent = new FakeAgent({ bootMs: null, shutdownMs: null, heartbeatMs: 200, imageFiles });
  let count = 0;
  return Promise.resolve({
    agent,
    diskPath,
    isoPath,
    spec: (name, values = {}) => ({
      id: crypto.randomUUID(),
      name: `${name}-${++count}`,
      role: "simple",
      osType: "linux",
      vcpus: 1,
      memoryMiB: 64,
      mac: null,
      network: "default",
      video: "virtio",
      iso: null,
      ...values,
    }),
    [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
  });
}

testAgentContract("the fake agent", startFake);
