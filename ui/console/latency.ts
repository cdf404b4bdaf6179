const intervalMs = 5_000;

/** Measures the way to the gateway and back while a display is open. @returns a function that stops it */
export function measureLatency(url: string, onSample: (milliseconds: number | null) => void): () => void {
  const socket = new WebSocket(url);
  let sentAt = 0;
  const ping = () => {
    if (socket.readyState !== WebSocket.OPEN) return;
    sentAt = performance.now();
    socket.send("ping");
  };
  const timer = setInterval(ping, intervalMs);
  socket.addEventListener("open", ping);
  socket.addEventListener("message", () => onSample(Math.max(1, Math.round(performance.now() - sentAt))));
  socket.addEventListener("close", () => onSample(null));
  return () => {
    clearInterval(timer);
    socket.close();
  };
}
