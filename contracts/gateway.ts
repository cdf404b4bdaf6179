/**
 * The display gateway's wire, beside the JSON API. A one-time ticket (`Connection.webSocketPath`, `proxyHost`) opens
 * the display of the one machine it was issued for:
 *
 *   WebSocket  /gateway/console/<ticket>   binary, one socket a SPICE channel: the display's own bytes both ways
 *   WebSocket  /gateway/latency/<ticket>   text, while the display is open: every message comes straight back
 *   CONNECT    <ticket>:<any port>         the same bytes for native viewers
 *
 * The first channel may be opened until the ticket expires, further ones for half a minute after it.
 */
export const gatewayPaths = {
  console: (ticket: string) => `/gateway/console/${ticket}`,
  latency: (ticket: string) => `/gateway/latency/${ticket}`,
} as const;

/** How the gateway closes a WebSocket. Anything else (1006 above all) is a lost connection: try again. */
export const CloseCode = {
  /** The ticket is unknown, used up or too old: ask for a new one. */
  staleTicket: 4401,
  /** Another person opened this display. */
  takenOver: 4409,
  /** The same user opened this display elsewhere. */
  takenOverByYou: 4408,
  /** The user's hold of the desktop is over. */
  leaseEnded: 4410,
  /** An admin closed the connection. */
  kicked: 4411,
  /** The machine closed its display: it was switched off, or another viewer came in past the gateway. */
  displayClosed: 4420,
  /** The display could not be reached. */
  unreachable: 4502,
  /** The dashboard shuts down or restarts (RFC 6455's service restart). */
  restarting: 1012,
} as const;
export type CloseReason = keyof typeof CloseCode;
