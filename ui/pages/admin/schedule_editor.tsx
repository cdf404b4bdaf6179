import {
  Button,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  HelperText,
  HelperTextItem,
  TextInput,
  ToggleGroup,
  ToggleGroupItem,
} from "@patternfly/react-core";
import PlusCircleIcon from "@patternfly/react-icons/dist/esm/icons/plus-circle-icon";
import TrashIcon from "@patternfly/react-icons/dist/esm/icons/trash-icon";
import type { PoolScheduleEntry } from "../../../contracts/desktop_pool.ts";
import { entryProblem, entryWords, newEntry, weekdays } from "./schedule.ts";

interface Props {
  entries: PoolScheduleEntry[];
  onChange: (entries: PoolScheduleEntry[]) => void;
  /** Messages by the place of the entry. */
  errors: Record<number, string>;
}

/** Times at which machines of a pool are started, or those that nobody uses are shut down. */
export function ScheduleEditor({ entries, onChange, errors }: Props) {
  const change = (place: number, patch: Partial<PoolScheduleEntry>) =>
    onChange(entries.map((entry, index) => index === place ? { ...entry, ...patch } : entry));
  return (
    <div className="kv-stack">
      {entries.length === 0 && (
        <p className="kv-quiet">No times yet: desktops start when somebody opens them.</p>
      )}
      {entries.map((entry, place) => (
        <ScheduleRow
          key={place}
          place={place + 1}
          entry={entry}
          error={errors[place] ?? entryProblem(entry)}
          onChange={(patch) => change(place, patch)}
          onRemove={() => onChange(entries.filter((_, index) => index !== place))}
        />
      ))}
      <div>
        <Button
          variant="link"
          isInline
          icon={<PlusCircleIcon />}
          isDisabled={entries.length >= 50}
          onClick={() => onChange([...entries, newEntry])}
        >
          Add a time
        </Button>
      </div>
    </div>
  );
}

interface RowProps {
  place: number;
  entry: PoolScheduleEntry;
  error: string | null;
  onChange: (patch: Partial<PoolScheduleEntry>) => void;
  onRemove: () => void;
}

function ScheduleRow({ place, entry, error, onChange, onRemove }: RowProps) {
  const { days, at, action, count } = entry;
  const toggle = (day: number) =>
    onChange({ days: days.includes(day) ? days.filter((one) => one !== day) : [...days, day] });
  return (
    <fieldset className="kv-schedule-row">
      <legend className="pf-v6-screen-reader">Time {place}</legend>
      <ToggleGroup aria-label={`Days of time ${place}`} isCompact className="kv-days">
        {weekdays.map(({ day, short, name }) => (
          <ToggleGroupItem
            key={day}
            text={short}
            aria-label={name}
            buttonId={`schedule-${place}-${day}`}
            isSelected={days.includes(day)}
            onChange={() => toggle(day)}
          />
        ))}
      </ToggleGroup>
      <TextInput
        type="time"
        aria-label={`Time of day ${place}`}
        value={at}
        onChange={(_, text) => onChange({ at: text.slice(0, 5) })}
        className="kv-time"
      />
      <FormSelect
        aria-label={`What is done at time ${place}`}
        value={action}
        onChange={(_, value) => onChange({ action: value as PoolScheduleEntry["action"] })}
        className="kv-schedule-action"
      >
        <FormSelectOption value="start" label="start until there run" />
        <FormSelectOption value="shut-down-idle" label="shut down idle ones" />
      </FormSelect>
      {action === "start" && (
        <TextInput
          type="number"
          aria-label={`Desktops that run after time ${place}`}
          min={1}
          max={2000}
          value={Number.isNaN(count) ? "" : count}
          onChange={(_, text) => onChange({ count: text === "" ? NaN : Number(text) })}
          className="kv-count-input"
        />
      )}
      <Button
        variant="plain"
        icon={<TrashIcon />}
        aria-label={`Remove time ${place}: ${entryWords(entry)}`}
        title="Remove"
        onClick={onRemove}
      />
      {error && (
        <FormHelperText className="kv-schedule-error">
          <HelperText isLiveRegion>
            <HelperTextItem variant="error">{error}</HelperTextItem>
          </HelperText>
        </FormHelperText>
      )}
    </fieldset>
  );
}
