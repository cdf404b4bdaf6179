import {
  FormGroup,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  HelperText,
  HelperTextItem,
  TextArea,
  TextInput,
} from "@patternfly/react-core";
import type { ReactNode } from "react";

interface FieldProps {
  id: string;
  label: string;
  help?: ReactNode;
  error?: string | undefined;
  required?: boolean;
  children: ReactNode;
}

/** A labelled control with its help, or what is wrong with it. */
export function Field({ id, label, help, error, required, children }: FieldProps) {
  return (
    <FormGroup label={label} fieldId={id} isRequired={required ?? false}>
      {children}
      {(error || help) && (
        <FormHelperText>
          <HelperText id={`${id}-help`} isLiveRegion={Boolean(error)}>
            <HelperTextItem variant={error ? "error" : "default"}>{error ?? help}</HelperTextItem>
          </HelperText>
        </FormHelperText>
      )}
    </FormGroup>
  );
}

interface TextFieldProps extends Omit<FieldProps, "children"> {
  value: string;
  onChange: (value: string) => void;
  type?: "text" | "password" | "number";
  autoComplete?: string;
  placeholder?: string;
  lines?: number;
  min?: number;
  max?: number;
  disabled?: boolean;
}

export function TextField(props: TextFieldProps) {
  const { id, value, onChange, error, required, help, lines } = props;
  const shared = {
    id,
    value,
    validated: error ? "error" as const : "default" as const,
    isRequired: required ?? false,
    isDisabled: props.disabled ?? false,
    ...(error || help ? { "aria-describedby": `${id}-help` } : {}),
    ...(props.placeholder ? { placeholder: props.placeholder } : {}),
  };
  return (
    <Field id={id} label={props.label} help={help} error={error} required={required ?? false}>
      {lines
        ? (
          <TextArea
            {...shared}
            rows={lines}
            resizeOrientation="vertical"
            onChange={(_, text) => onChange(text)}
          />
        )
        : (
          <TextInput
            {...shared}
            type={props.type ?? "text"}
            autoComplete={props.autoComplete ?? "off"}
            min={props.min}
            max={props.max}
            onChange={(_, text) => onChange(text)}
          />
        )}
    </Field>
  );
}

interface SelectFieldProps extends Omit<FieldProps, "children"> {
  value: string;
  onChange: (value: string) => void;
  options: { value: string; label: string; disabled?: boolean }[];
  disabled?: boolean;
}

export function SelectField(props: SelectFieldProps) {
  const { id, value, onChange, options, error, help } = props;
  return (
    <Field id={id} label={props.label} help={help} error={error} required={props.required ?? false}>
      <FormSelect
        id={id}
        value={value}
        onChange={(_, chosen) => onChange(chosen)}
        isDisabled={props.disabled ?? false}
        validated={error ? "error" : "default"}
        {...(error || help ? { "aria-describedby": `${id}-help` } : {})}
      >
        {options.map((option) => (
          <FormSelectOption
            key={option.value}
            value={option.value}
            label={option.label}
            isDisabled={option.disabled ?? false}
          />
        ))}
      </FormSelect>
    </Field>
  );
}
