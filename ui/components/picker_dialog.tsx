import {
  Button,
  Checkbox,
  FormSelect,
  FormSelectOption,
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

/** What narrows the candidates: a search text, and the choice of the filter. */
export interface PickerNeed {
  q?: string;
  filter?: string;
}

interface Props {
  title: string;
  what: string;
  chosen: string[];
  /** One page of candidates. */
  load: (
    need: PickerNeed,
    paging: { limit: number; offset: number },
    signal: AbortSignal,
  ) => Promise<{ items: PickerItem[]; total: number }>;
  /** All candidates that fit, for "select all". */
  loadAll: (need: PickerNeed) => Promise<string[]>;
  /** Narrows the candidates to one of these. */
  filter?: { label: string; options: { value: string; text: string }[] };
  onSave: (ids: string[]) => Promise<unknown>;
  onClose: () => void;
}

const perPage = 10;

/** Chooses many of a long list: search, page, tick; what was chosen before stays ticked. */
export function PickerDialog({ title, what, chosen, load, loadAll, filter, onSave, onClose }: Props) {
  const [ids, setIds] = useState<ReadonlySet<string>>(() => new Set(chosen));
  const [q, setQ] = useState("");
  const [filtered, setFiltered] = useState("");
  const [page, setPage] = useState(1);
  const need = { ...(q.trim() ? { q: q.trim() } : {}), ...(filtered ? { filter: filtered } : {}) };
  const paging = { limit: perPage, offset: (page - 1) * perPage };
  const loaded = useLoad(JSON.stringify([need, paging]), (signal) => load(need, paging, signal));
  const save = useAction(async () => {
    await onSave([...ids]);
    onClose();
  });
  const all = useAction(
    async () => setIds(new Set([...ids, ...await loadAll(need)])),
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
          {filter && filter.options.length > 1 && (
            <FormSelect
              aria-label={filter.label}
              value={filtered}
              onChange={(_, value) => {
                setFiltered(value);
                setPage(1);
              }}
              className="kv-picker-filter"
            >
              <FormSelectOption value="" label={`${filter.label}: any`} />
              {filter.options.map(({ value, text }) => (
                <FormSelectOption key={value} value={value} label={text} />
              ))}
            </FormSelect>
          )}
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
