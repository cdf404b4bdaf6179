import { Button, TextInputGroup, TextInputGroupMain, TextInputGroupUtilities } from "@patternfly/react-core";
import SearchIcon from "@patternfly/react-icons/dist/esm/icons/search-icon";
import TimesIcon from "@patternfly/react-icons/dist/esm/icons/times-icon";

interface Props {
  label: string;
  placeholder?: string;
  value: string;
  onChange: (value: string) => void;
  onEnter?: () => void;
}

/**
 * A search field. Not PatternFly's SearchInput: that copies its value in an effect, which on Preact runs after the next
 * paint, and so loses letters of people who type fast.
 */
export function SearchBox({ label, placeholder = label, value, onChange, onEnter }: Props) {
  return (
    <TextInputGroup className="kv-search-box">
      <TextInputGroupMain
        icon={<SearchIcon />}
        aria-label={label}
        placeholder={placeholder}
        value={value}
        onChange={(_, text) => onChange(text)}
        onKeyDown={(event) => event.key === "Enter" && onEnter?.()}
      />
      {value !== "" && (
        <TextInputGroupUtilities>
          <Button
            variant="plain"
            icon={<TimesIcon />}
            aria-label="Clear the search"
            onClick={() => onChange("")}
          />
        </TextInputGroupUtilities>
      )}
    </TextInputGroup>
  );
}
