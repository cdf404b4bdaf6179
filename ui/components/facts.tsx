import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
} from "@patternfly/react-core";
import type { ReactNode } from "react";

/** Names and values; a null value leaves its line out. */
export function Facts(
  { items, columns = 2 }: { items: Record<string, ReactNode>; columns?: 1 | 2 | 3 },
) {
  return (
    <DescriptionList
      isCompact
      isHorizontal
      columnModifier={{ default: "1Col", ...(columns > 1 ? { lg: `${columns as 2 | 3}Col` } : {}) }}
      horizontalTermWidthModifier={{ default: "12ch" }}
    >
      {Object.entries(items).filter(([, value]) => value !== null).map(([term, value]) => (
        <DescriptionListGroup key={term}>
          <DescriptionListTerm>{term}</DescriptionListTerm>
          <DescriptionListDescription>{value}</DescriptionListDescription>
        </DescriptionListGroup>
      ))}
    </DescriptionList>
  );
}
