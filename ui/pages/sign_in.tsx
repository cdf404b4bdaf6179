import { Button, Form } from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import { call } from "../api.ts";
import { TextField } from "../components/field.tsx";
import { InlineProblem } from "../components/problem.tsx";
import { useAction } from "../stores/action.ts";
import { adoptSession, session, siteName } from "../stores/session.ts";
import { Gate } from "./gate.tsx";

const rememberedKey = "kvm-vdi.username";

/** The one way in, for administrators and users; the role decides what is behind it. */
export function SignInPage() {
  const [username, setUsername] = useState(() => localStorage.getItem(rememberedKey) ?? "");
  const [password, setPassword] = useState("");
  const signIn = useAction(async () => {
    try {
      const state = await call("signIn", { body: { username: username.trim(), password } });
      localStorage.setItem(rememberedKey, username.trim());
      adoptSession(state);
    } catch (error) {
      setPassword("");
      document.getElementById("password")?.focus();
      throw error;
    }
  });
  useEffect(() => document.getElementById(username ? "password" : "username")?.focus(), []);
  const complete = username.trim() !== "" && password !== "";
  return (
    <Gate title={`Sign in to ${siteName.value}`}>
      <Form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (complete && !session.peek()) void signIn.run();
        }}
      >
        {signIn.error ? <InlineProblem title="You are not signed in" error={signIn.error} /> : null}
        <TextField
          id="username"
          label="User name"
          autoComplete="username"
          required
          value={username}
          onChange={setUsername}
        />
        <TextField
          id="password"
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <Button type="submit" isBlock isLoading={signIn.busy} isDisabled={!complete || signIn.busy}>
          Sign in
        </Button>
      </Form>
    </Gate>
  );
}
