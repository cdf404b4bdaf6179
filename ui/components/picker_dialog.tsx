import {
  Button,
  Checkbox,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  Pagination,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { ReactNode } from "react";
import { plural } from "../format.ts";
import { useAction } from "../stores/action.ts";
import { useLoad } from "../stores/load.ts";
import { Waiting } from "./lazy.tsx";
import { SearchBox } from "./search_box.tsx";
import { InlineProblem } from "./problem.tsx";

export interface PickerItem {
  id: string;
  title: string;
  detail?: ReactNode;
}

interface Props {
  title: string;
  what: string;
  chosen: string[];
  /** One page of candidates for a search text. */
  load: (
    query: { q?: string; limit: number; offset: number },
    signal: AbortSignal,
  ) => Promise<{ items: PickerItem[]; total: number }>;
  /** All candidates that fit, for "select all". */
  loadAll: (q: string) => Promise<string[]>;
  onSave: (ids: string[]) => Promise<unknown>;
  onClose: () => void;
}

const perPage = 10;

/** Chooses many of a long list: search, page, tick; what was chosen before stays ticked. */
export function PickerDialog({ title, what, chosen, load, loadAll, onSave, onClose }: Props) {
  const [ids, setIds] = useState<ReadonlySet<string>>(() => new Set(chosen));
  const [q, setQ] = useState("");
  const [page, setPage] = useState(1);
  const paging = { ...(q.trim() ? { q: q.trim() } : {}), limit: perPage, offset: (page - 1) * perPage };
  const loaded = useLoad(JSON.stringify(paging), (signal) => load(paging, signal));
  const save = useAction(async () => {
    await onSave([...ids]);
    onClose();
  });
  const all = useAction(
    async () => setIds(new Set([...ids, ...await loadAll(q.trim())])),
    "Could not select all",
  );
  const toggle = (id: string, on: boolean) => {
    const next = new Set(ids);
    if (on) next.add(id);
    else next.delete(id);
    setIds(next);
  };
  const total = loaded.value?.total ?? 0;
  return (
    <Modal isOpen variant="medium" onClose={onClose} aria-labelledby="picker-title">
      <ModalHeader title={title} labelId="picker-title" description={`${plural(ids.size, what)} selected`} />
      <ModalBody tabIndex={0} aria-label={title}>
        {save.error ? <InlineProblem title="This could not be saved" error={save.error} /> : null}
        <div className="kv-actions kv-gap-below">
          <SearchBox
            label={`Search ${what}s`}
            placeholder="Search"
            value={q}
            onChange={(text) => {
              setQ(text);
              setPage(1);
            }}
          />
          <Button variant="link" isLoading={all.busy} onClick={() => void all.run()}>
            Select all {total.toLocaleString("en")}
          </Button>
          <Button variant="link" isDisabled={ids.size === 0} onClick={() => setIds(new Set())}>
            Select none
          </Button>
        </div>
        {loaded.error
          ? (
            <InlineProblem
              title="The list could not be loaded"
              error={loaded.error}
              onRetry={loaded.reload}
            />
          )
          : null}
        {!loaded.value && !loaded.error && <Waiting />}
        {loaded.value?.items.length === 0 && <p className="kv-quiet">Nothing found.</p>}
        <div className="kv-picker-list">
          {loaded.value?.items.map((item) => (
            <Checkbox
              key={item.id}
              id={`pick-${item.id}`}
              label={item.title}
              description={item.detail}
              isChecked={ids.has(item.id)}
              onChange={(_, on) => toggle(item.id, on)}
            />
          ))}
        </div>
        {total > perPage && (
          <Pagination
            isCompact
            itemCount={total}
            page={page}
            perPage={perPage}
            perPageOptions={[]}
            onSetPage={(_, wanted) => setPage(wanted)}
            widgetId="picker-paging"
          />
        )}
      </ModalBody>
      <ModalFooter>
        <Button isLoading={save.busy} isDisabled={save.busy} onClick={() => void save.run()}>
          Save {plural(ids.size, what)}
        </Button>
        <Button variant="link" onClick={onClose}>Cancel</Button>
      </ModalFooter>
    </Modal>
  );
}
