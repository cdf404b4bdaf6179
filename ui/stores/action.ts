/** Something the user can set off. It runs once at a time, so a double click does not do it twice. */
import { useCallback, useRef, useState } from "preact/hooks";
import { toastError } from "./toasts.ts";

export interface Action<Args extends unknown[]> {
  run: (...args: Args) => Promise<boolean>;
  busy: boolean;
  /** Of the last run; cleared by the next. */
  error: unknown;
}

/**
 * Wraps an asynchronous function for a button or form. `run` resolves to whether it succeeded. With `failure` an error
 * becomes a toast with that title; without, the component shows `error` itself.
 */
export function useAction<Args extends unknown[]>(
  work: (...args: Args) => Promise<unknown>,
  failure?: string,
): Action<Args> {
  const [state, setState] = useState<{ busy: boolean; error: unknown }>({ busy: false, error: null });
  const running = useRef(false);
  const latest = useRef(work);
  latest.current = work;
  const run = useCallback(async (...args: Args) => {
    if (running.current) return false;
    running.current = true;
    setState({ busy: true, error: null });
    try {
      await latest.current(...args);
      setState({ busy: false, error: null });
      return true;
    } catch (error) {
      setState({ busy: false, error });
      if (failure) toastError(failure, error);
      return false;
    } finally {
      running.current = false;
    }
  }, [failure]);
  return { run, ...state };
}
