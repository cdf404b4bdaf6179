import { Button, type ButtonProps } from "@patternfly/react-core";
import type { ReactNode } from "react";
import { useAction } from "../stores/action.ts";

interface Props extends Pick<ButtonProps, "variant" | "size" | "isDanger" | "isDisabled" | "icon"> {
  /** What a click does; it reports its own failures. */
  onAction: () => Promise<unknown> | void;
  children: ReactNode;
  label?: string;
}

/** A button that shows that its action is under way and does not start it twice. */
export function ActionButton({ onAction, children, label, isDisabled = false, ...look }: Props) {
  const action = useAction(async () => await onAction(), "That did not work");
  return (
    <Button
      {...look}
      isLoading={action.busy}
      isDisabled={isDisabled || action.busy}
      onClick={() => void action.run()}
      {...(label ? { "aria-label": label } : {})}
    >
      {children}
    </Button>
  );
}
