import {
  Alert,
  Button,
  Content,
  Form,
  HelperText,
  HelperTextItem,
  type HelperTextItemProps,
} from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import { AppError } from "../../contracts/errors.ts";
import { NewPassword, Username } from "../../contracts/user.ts";
import { call, fieldErrors } from "../api.ts";
import { TextField } from "../components/field.tsx";
import { InlineProblem } from "../components/problem.tsx";
import { location, navigate } from "../router.ts";
import { useAction } from "../stores/action.ts";
import { adoptSession, setup } from "../stores/session.ts";
import { Gate } from "./gate.tsx";

/** Makes the first administrator. Only the one-time link that the dashboard printed at its start opens it. */
export function SetupPage() {
  const token = location.value.query.get("token") ?? "";
  if (setup.value && !setup.value.required) return <AlreadySetUp />;
  if (!token) return <LinkMissing />;
  return <FirstAdmin token={token} />;
}

function FirstAdmin({ token }: { token: string }) {
  const [username, setUsername] = useState("admin");
  const [displayName, setDisplayName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const create = useAction(async () => {
    const state = await call("setup", { body: { token, username, displayName, password } });
    if (setup.value) setup.value = { ...setup.value, required: false };
    adoptSession(state);
    navigate("/overview", { replace: true });
  });
  useEffect(() => document.getElementById("password")?.focus(), []);
  const rules = passwordRules(password, again);
  const nameProblem = Username.safeParse(username).error?.issues[0]?.message;
  const complete = !nameProblem && rules.every((rule) => rule.met);
  const errors = fieldErrors(create.error);
  const tokenRefused = create.error instanceof AppError && !Object.keys(errors).length;
  return (
    <Gate title="Welcome. Who administers this system?">
      <Form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (complete) void create.run();
        }}
      >
        {create.error
          ? <InlineProblem title="The account was not made" error={create.error} />
          : (
            <Content component="p">
              This makes the first administrator. Everyone else is added from inside.
            </Content>
          )}
        {tokenRefused && <NewLinkHint />}
        <TextField
          id="username"
          label="User name"
          autoComplete="username"
          required
          value={username}
          onChange={setUsername}
          error={errors.username ?? (username ? nameProblem : undefined)}
        />
        <TextField
          id="display-name"
          label="Your name"
          autoComplete="name"
          help="Optional; shown to other administrators"
          value={displayName}
          onChange={setDisplayName}
          error={errors.displayName}
        />
        <TextField
          id="password"
          label="Password"
          type="password"
          autoComplete="new-password"
          required
          value={password}
          onChange={setPassword}
          error={errors.password}
        />
        <TextField
          id="password-again"
          label="Password again"
          type="password"
          autoComplete="new-password"
          required
          value={again}
          onChange={setAgain}
        />
        <HelperText aria-label="What the password needs" component="ul" isLiveRegion>
          {rules.map(({ text, met, wrong }) => (
            <HelperTextItem key={text} component="li" variant={variantOf(met, wrong)}>{text}</HelperTextItem>
          ))}
        </HelperText>
        <Button type="submit" isBlock isLoading={create.busy} isDisabled={!complete || create.busy}>
          Create administrator
        </Button>
      </Form>
    </Gate>
  );
}

interface Rule {
  text: string;
  met: boolean;
  /** Whether what was typed so far breaks it, rather than just not being there yet. */
  wrong: boolean;
}

/** The rules of the contract in words, each with whether it is met. */
function passwordRules(password: string, again: string): Rule[] {
  const long = NewPassword.safeParse(password).success;
  const same = password !== "" && password === again;
  return [
    { text: "At least 8 characters; a sentence is fine", met: long, wrong: password !== "" && !long },
    { text: "Typed the same twice", met: same, wrong: again !== "" && !same },
  ];
}

const variantOf = (met: boolean, wrong: boolean): NonNullable<HelperTextItemProps["variant"]> =>
  met ? "success" : wrong ? "error" : "indeterminate";

function NewLinkHint() {
  return (
    <Alert
      variant="info"
      isInline
      isPlain
      title="The link works once, and only while the dashboard that printed it runs"
    >
      Start the dashboard again to get a new link: it prints one for as long as there is no administrator.
    </Alert>
  );
}

function LinkMissing() {
  return (
    <Gate title="Almost there">
      <div className="kv-stack">
        <Content component="p">
          This dashboard has no administrator yet. To make sure that only its owner can become one, it printed
          a one-time setup link where it was started: in the terminal, or in its log.
        </Content>
        <Content component="p">
          Open that link. It ends in <code>/setup?token=…</code>
        </Content>
      </div>
    </Gate>
  );
}

function AlreadySetUp() {
  return (
    <Gate title="This setup link has been used">
      <div className="kv-stack">
        <Content component="p">
          The first administrator exists already. If that was not you, somebody with access to the dashboard's
          log was faster: look into it before you go on.
        </Content>
        <Button component="a" href="/" isBlock>Sign in</Button>
      </div>
    </Gate>
  );
}
