/** Loading what a page shows: keeps the old rows while it loads again, and reloads after a lost connection. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { DashboardEvent } from "../../contracts/events.ts";
import { generation, onEvent } from "../events.ts";

/** Hundreds of machines may report at once: their changes are drawn together. */
const changeDelayMs = 40;

export interface Loaded<T> {
  /** Undefined until the first answer. */
  value: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
  /** Reloads once within a second, however often it is called: for events that touch the list. */
  reloadSoon: () => void;
  change: (change: (value: T) => T) => void;
}

/** Loads when the component appears and whenever `key` changes; an answer for an older key is dropped. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [round, setRound] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => setRound((count) => count + 1), []);
  const reloadSoon = useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      reload();
    }, 800);
  }, []);
  const changes = useRef<((value: T) => T)[]>([]);
  const change = useCallback((update: (value: T) => T) => {
    if (changes.current.push(update) > 1) return;
    setTimeout(() => {
      const waiting = changes.current;
      changes.current = [];
      setState((old) =>
        old.value === undefined
          ? old
          : { ...old, value: waiting.reduce<T>((value, next) => next(value), old.value as T) }
      );
    }, changeDelayMs);
  }, []);
  const stream = generation.value;
  useEffect(() => {
    const controller = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    latest.current(controller.signal).then(
      (value) => !controller.signal.aborted && setState({ value, loading: false }),
      (error) => !controller.signal.aborted && setState((old) => ({ ...old, error, loading: false })),
    );
    return () => controller.abort();
  }, [key, round, stream]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return {
    value: state.value,
    error: state.error ?? null,
    loading: state.loading,
    reload,
    reloadSoon,
    change,
  };
}

/** Follows the event stream while the component is on the page. */
export function useEvents(listener: (event: DashboardEvent) => void): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => onEvent((event) => latest.current(event)), []);
}

/** The items with one replaced, if it is among them. */
export function replaceById<T extends { id: string | number }>(items: T[], item: T): T[] {
  return items.some((other) => other.id === item.id)
    ? items.map((other) => other.id === item.id ? item : other)
    : items;
}
