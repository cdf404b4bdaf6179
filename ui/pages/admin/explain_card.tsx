import { Alert, Button, Card, CardBody, CardTitle, Content, Form } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { ResultOf } from "../../../contracts/api.ts";
import type { DesktopPoolDetail } from "../../../contracts/desktop_pool.ts";
import { call } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { PlacementReasons } from "../../components/placement_reasons.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { useAction } from "../../stores/action.ts";

interface Answer extends ResultOf<"explainAllocation"> {
  username: string;
}

/** "Why can't X get a desktop?": runs the broker dry for one user. */
export function ExplainCard({ pool }: { pool: DesktopPoolDetail }) {
  const [username, setUsername] = useState("");
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [unknown, setUnknown] = useState<string | null>(null);
  const ask = useAction(async () => {
    setAnswer(null);
    setUnknown(null);
    const name = username.trim();
    const { items } = await call("listUsers", { query: { q: name, limit: 20 } });
    const user = items.find((one) => one.username.toLowerCase() === name.toLowerCase()) ??
      (items.length === 1 ? items[0] : undefined);
    if (!user) return setUnknown(`There is no user named ${name}.`);
    const found = await call("explainAllocation", { params: { id: pool.id }, query: { userId: user.id } });
    setAnswer({ username: user.username, ...found });
  });
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Why can't somebody get a desktop?</CardTitle>
      <CardBody>
        <div className="kv-stack">
          <Content component="p">
            Asks the broker what it would do for a user now. Nothing is changed.
          </Content>
          <Form
            className="kv-inline-form"
            onSubmit={(event) => {
              event.preventDefault();
              if (username.trim()) void ask.run();
            }}
          >
            <TextField
              id="explain-user"
              label="User name"
              value={username}
              onChange={setUsername}
              error={unknown ?? undefined}
            />
            <Button
              type="submit"
              variant="secondary"
              isLoading={ask.busy}
              isDisabled={ask.busy || !username.trim()}
            >
              Check
            </Button>
          </Form>
          {ask.error ? <InlineProblem title="The check failed" error={ask.error} /> : null}
          {answer && (
            <Alert
              isInline
              isLiveRegion
              component="p"
              variant={answer.machineId ? "success" : "warning"}
              title={answer.machineId
                ? `${answer.username} would get a desktop`
                : `${answer.username} would not get a desktop`}
            >
              {answer.explanation}{" "}
              {answer.machineId && <a href={`/machines/${answer.machineId}`}>Show the machine</a>}
            </Alert>
          )}
          {answer && (
            <PlacementReasons reasons={answer.reasons} label={`How the machines of ${pool.name} stand`} />
          )}
        </div>
      </CardBody>
    </Card>
  );
}
