import { Content } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { fieldErrors } from "../../api.ts";
import { FormDialog } from "../../components/form_dialog.tsx";
import { useAction } from "../../stores/action.ts";
import { areComplete, credentialErrors, credentialsOf, noCredentials } from "./credentials.ts";
import { CredentialsFields } from "./credentials_fields.tsx";
import { enrolAgain } from "./hypervisor_actions.ts";

/** Installs or repairs the agent of a hypervisor that is known already. */
export function EnrolDialog({ hypervisor, onClose }: { hypervisor: Hypervisor; onClose: () => void }) {
  const [draft, setDraft] = useState(noCredentials);
  const enrol = useAction(async () => {
    await enrolAgain(hypervisor, credentialsOf(draft));
    onClose();
  });
  return (
    <FormDialog
      title={`Install the agent of ${hypervisor.name}`}
      submitText="Install"
      variant="medium"
      action={enrol}
      onSubmit={() => void enrol.run()}
      onClose={onClose}
      canSubmit={areComplete(draft)}
      fields={["username", "password", "privateKey", "passphrase", "sudoPassword"]}
    >
      <Content component="p">
        Puts this dashboard's own program on{" "}
        {hypervisor.ssh?.address ?? hypervisor.name}, repairs its account, directories and service, and starts
        it. Machines that run are not touched.
      </Content>
      <CredentialsFields
        draft={draft}
        onChange={setDraft}
        errors={credentialErrors(fieldErrors(enrol.error))}
      />
    </FormDialog>
  );
}
