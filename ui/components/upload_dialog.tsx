import { Button, Content, Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core";
import type { Upload } from "../../contracts/storage.ts";
import { showDialog } from "../stores/dialog.ts";
import { hypervisorName } from "../stores/places.ts";
import { UploadPanel } from "./upload_panel.tsx";

interface Props {
  hypervisorId: string;
  /** Suffixes that the file dialog offers. */
  accept: string;
  onDone: (upload: Upload) => void;
  onClose: () => void;
}

/** Uploads a file where one is asked for; `onDone` gets it once the hypervisor has checked it. */
export const openUpload = (options: Omit<Props, "onClose">) =>
  showDialog((close) => <UploadDialog {...options} onClose={close} />);

function UploadDialog({ hypervisorId, accept, onDone, onClose }: Props) {
  return (
    <Modal isOpen variant="medium" onClose={onClose} aria-labelledby="upload-title">
      <ModalHeader title={`Upload to ${hypervisorName(hypervisorId)}`} labelId="upload-title" />
      <ModalBody>
        <Content component="p">You can close this window meanwhile; the upload goes on.</Content>
        <UploadPanel
          hypervisorId={hypervisorId}
          accept={accept}
          onDone={(upload) => {
            onDone(upload);
            onClose();
          }}
        />
      </ModalBody>
      <ModalFooter>
        <Button variant="link" onClick={onClose}>Close</Button>
      </ModalFooter>
    </Modal>
  );
}
