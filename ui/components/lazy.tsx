import { Bullseye, Spinner } from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import type { ComponentType } from "react";
import { Problem } from "./problem.tsx";

/** A page whose code is fetched when it is first shown. */
export function lazyPage<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function LazyPage(props: Props) {
    const [, redraw] = useState(0);
    const [error, setError] = useState<unknown>(null);
    useEffect(() => {
      if (loaded) return;
      load().then((page) => {
        loaded = page;
        redraw((count) => count + 1);
      }, setError);
    }, []);
    if (error) {
      return (
        <Problem
          title="This page could not be loaded"
          error={error}
          onRetry={() => globalThis.location.reload()}
        />
      );
    }
    const Page = loaded;
    return Page ? <Page {...props} /> : <Waiting />;
  };
}

/** Fills the space while something is fetched. */
export function Waiting({ label = "Loading" }: { label?: string }) {
  return (
    <Bullseye className="kv-waiting">
      <Spinner size="lg" aria-label={label} />
    </Bullseye>
  );
}
