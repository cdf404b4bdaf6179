/** Asks before something is done that can't be taken back. */
import { signal } from "@preact/signals";

export interface Question {
  title: string;
  /** What will happen, and what will be lost. */
  body: string;
  /** Names of what is affected, shown as a list. */
  affected?: string[];
  confirmText: string;
  danger?: boolean;
  /** The user must type this first: for losses that can't be repaired. */
  typed?: string;
}

interface Asked extends Question {
  answer: (yes: boolean) => void;
}

export const question = signal<Asked | null>(null);

/** Resolves to whether the user agreed. */
export function confirm(asked: Question): Promise<boolean> {
  question.peek()?.answer(false);
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (yes) => {
        question.value = null;
        resolve(yes);
      },
    };
  });
}
