import { exitCodes as shared } from "../lib/cli.ts";

/** How the client ends; scripts and service managers may rely on these. */
export const exitCodes = {
  ...shared,
  signInRefused: 3,
  notEntitled: 4,
  noCapacity: 5,
  startFailed: 6,
  unreachable: 7,
  viewerFailed: 8,
  endedElsewhere: 9,
} as const;

export const exitCodeHelp = `Exit codes:
  0    the desktop was used and given back, or the client was told to stop
  1    something else failed
  2    wrong options or configuration
  3    user name or password were refused
  4    there is no such desktop pool for this user
  5    no desktop is free
  6    the desktop could not be started
  7    the dashboard cannot be reached, or its certificate is not trusted
  8    the viewer is missing or could not show the desktop
  9    the desktop was taken back, or opened on another device
  130  stopped by a second signal`;

/** An end of the client that has an exit code of its own. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  constructor(readonly exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
