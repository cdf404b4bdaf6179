import { PageSection, ToggleGroup, ToggleGroupItem } from "@patternfly/react-core";
import { DesktopState } from "../../../contracts/desktop.ts";
import { ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { setFilter, useListQuery } from "../../stores/list_query.ts";
import { desktopPools } from "../../stores/places.ts";
import { SessionTable } from "./session_table.tsx";

const stateTexts: Record<DesktopState, string> = {
  preparing: "Starting",
  ready: "In use",
  failed: "Failed",
  ended: "Ended",
};

/** Who is on what, from where, since when; and who was. */
export function SessionsPage() {
  const list = useListQuery();
  const history = list.filter("active") === "false";
  const state = DesktopState.safeParse(list.filter("state")).data;
  return (
    <>
      <PageHead
        title="Sessions"
        actions={
          <ToggleGroup aria-label="Sessions shown">
            <ToggleGroupItem
              text="Now"
              buttonId="sessions-now"
              isSelected={!history}
              onChange={() => setFilter("active", "")}
            />
            <ToggleGroupItem
              text="History"
              buttonId="sessions-history"
              isSelected={history}
              onChange={() => setFilter("active", "false")}
            />
          </ToggleGroup>
        }
      />
      <PageSection isFilled>
        <ListToolbar
          list={list}
          total={undefined}
          search="User, desktop or device"
          filters={[
            {
              name: "state",
              title: "State",
              options: DesktopState.options.map((value) => ({ value, text: stateTexts[value] })),
            },
            {
              name: "desktopPoolId",
              title: "Desktop pool",
              options: desktopPools.value.map(({ id, name }) => ({ value: id, text: name })),
            },
          ]}
        />
        <SessionTable
          label="Sessions"
          list={{
            ...list,
            narrowed: list.q !== "" || state !== undefined || list.filter("desktopPoolId") !== "",
          }}
          query={{
            ...list.paging,
            active: history ? "false" : "true",
            ...(state ? { state } : {}),
            ...(list.filter("desktopPoolId") ? { desktopPoolId: list.filter("desktopPoolId") } : {}),
            ...(list.filter("userId") ? { userId: list.filter("userId") } : {}),
          }}
        />
      </PageSection>
    </>
  );
}
