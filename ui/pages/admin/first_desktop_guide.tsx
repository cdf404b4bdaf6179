import {
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  ProgressStep,
  ProgressStepper,
} from "@patternfly/react-core";
import type { Overview } from "../../../contracts/settings.ts";
import { firstDesktopSteps, type Step } from "./first_desktop.ts";

const variants = { done: "success", next: "info", later: "pending" } as const;
const words = { done: "done", next: "next", later: "later" } as const;

/** Walks an admin of an empty system to the first desktop on a user's screen. */
export function FirstDesktopGuide({ overview }: { overview: Overview }) {
  return (
    <Card>
      <CardTitle component="h2">First desktop</CardTitle>
      <CardBody>
        <Content component="p" className="kv-guide-intro">
          Five steps from an empty system to a desktop on a user's screen. You can leave at any time: this
          guide knows how far you are.
        </Content>
        <ProgressStepper isVertical aria-label="First desktop">
          {firstDesktopSteps(overview).map((step, index) => (
            <GuideStep key={step.id} step={step} place={index + 1} />
          ))}
        </ProgressStepper>
      </CardBody>
    </Card>
  );
}

function GuideStep({ step, place }: { step: Step; place: number }) {
  return (
    <ProgressStep
      id={`step-${step.id}`}
      titleId={`step-${step.id}-title`}
      variant={variants[step.state]}
      isCurrent={step.state === "next"}
      aria-label={`Step ${place}, ${words[step.state]}`}
      description={
        <span className="kv-guide-step">
          <span>{step.text}</span>
          {step.state === "next"
            ? <Button component="a" href={step.href}>{step.button}</Button>
            : <a href={step.href}>{step.state === "done" ? "Another one" : step.button}</a>}
        </span>
      }
    >
      {place}. {step.title}
    </ProgressStep>
  );
}
