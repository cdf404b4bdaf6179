import { Alert, AlertActionCloseButton, AlertGroup } from "@patternfly/react-core";
import { dismissToast, type Toast, toasts } from "../stores/toasts.ts";
import { CopyDetails } from "./problem.tsx";

/** Notices in the corner. Good news goes by itself; a failure stays until it is read. */
export function ToastList() {
  return (
    <AlertGroup isToast isLiveRegion>
      {toasts.value.map((notice) => <ToastItem key={notice.id} notice={notice} />)}
    </AlertGroup>
  );
}

function ToastItem({ notice }: { notice: Toast }) {
  const { id, variant, title, detail, link, error } = notice;
  const close = () => dismissToast(id);
  return (
    <Alert
      variant={variant}
      title={title}
      timeout={variant === "danger" ? false : 6000}
      onTimeout={close}
      actionClose={<AlertActionCloseButton title={`Close: ${title}`} onClose={close} />}
      actionLinks={link || error
        ? (
          <>
            {link && <a href={link.href} onClick={close}>{link.text}</a>}
            {error ? <CopyDetails error={error} /> : null}
          </>
        )
        : undefined}
    >
      {detail}
    </Alert>
  );
}
