import {
  Bullseye,
  Button,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  MenuToggle,
  Skeleton,
} from "@patternfly/react-core";
import CubesIcon from "@patternfly/react-icons/dist/esm/icons/cubes-icon";
import EllipsisVIcon from "@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon";
import SearchIcon from "@patternfly/react-icons/dist/esm/icons/search-icon";
import { ActionsColumn, type IAction, Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import type { ReactNode } from "react";
import { setQuery } from "../router.ts";
import { clearFilters, type ListQueryState } from "../stores/list_query.ts";
import type { Loaded } from "../stores/load.ts";
import { menuHome } from "./overlay.ts";
import { InlineProblem } from "./problem.tsx";

export interface Column<Row> {
  title: string;
  /** Name that the API sorts by. */
  sort?: string;
  render: (row: Row) => ReactNode;
  /** Hidden from narrow windows. */
  minor?: boolean;
  nowrap?: boolean;
}

export interface Selection<Row> {
  ids: ReadonlySet<string>;
  toggle: (ids: string[], on: boolean) => void;
  /** Rows that it refuses can't be ticked; all can when it is left out. */
  selectable?: (row: Row) => boolean;
}

interface Props<Row extends { id: string | number }> {
  label: string;
  loaded: Pick<Loaded<{ items: Row[] }>, "value" | "error" | "loading" | "reload">;
  columns: Column<Row>[];
  list?: ListQueryState;
  selection?: Selection<Row>;
  actions?: (row: Row) => IAction[];
  nameOf: (row: Row) => string;
  /** Below a row, across all columns. */
  detail?: (row: Row) => ReactNode;
  empty: { title: string; text: ReactNode; action?: ReactNode };
}

/** A list as a table: skeleton while it loads, what went wrong and a retry, or words that teach when it is empty. */
export function DataTable<Row extends { id: string | number }>(props: Props<Row>) {
  const { label, loaded, columns, list, selection, actions, nameOf, detail } = props;
  if (loaded.error && !loaded.value) {
    return (
      <InlineProblem title={`${label} could not be loaded`} error={loaded.error} onRetry={loaded.reload} />
    );
  }
  const rows = loaded.value?.items;
  if (rows?.length === 0) return <NoRows empty={props.empty} narrowed={list?.narrowed ?? false} />;
  return (
    <div className="kv-table" aria-busy={loaded.loading}>
      {loaded.error
        ? <InlineProblem title={`${label} may be out of date`} error={loaded.error} onRetry={loaded.reload} />
        : null}
      <Table aria-label={label} variant="compact" gridBreakPoint="grid-md">
        <Thead>
          <Tr>
            {selection && <SelectAllHeader rows={rows ?? []} selection={selection} />}
            {columns.map((column) => <HeadCell key={column.title} column={column} list={list} />)}
            {actions && <Th screenReaderText="Actions" />}
          </Tr>
        </Thead>
        <Tbody>
          {rows
            ? rows.map((row, index) => (
              <DataRow key={row.id} {...{ row, index, columns, selection, actions, nameOf, detail }} />
            ))
            : <SkeletonRows columns={columns.length + (selection ? 1 : 0) + (actions ? 1 : 0)} />}
        </Tbody>
      </Table>
    </div>
  );
}

const cellClass = (column: { minor?: boolean }) => column.minor ? "kv-minor" : "";

function HeadCell<Row>({ column, list }: { column: Column<Row>; list: ListQueryState | undefined }) {
  const { sort, title } = column;
  const active = sort !== undefined && list?.sort === sort;
  return (
    <Th
      className={cellClass(column)}
      modifier="nowrap"
      {...(sort && list
        ? {
          sort: {
            columnIndex: 0,
            sortBy: active ? { index: 0, direction: list.order } : {},
            onSort: (_: unknown, __: number, direction: string) =>
              setQuery({ sort, order: active ? direction : "asc", page: null }),
          },
        }
        : {})}
    >
      {title}
    </Th>
  );
}

function SelectAllHeader<Row extends { id: string | number }>(
  props: { rows: Row[]; selection: Selection<Row> },
) {
  const { selectable = () => true } = props.selection;
  const ids = props.rows.filter(selectable).map((row) => String(row.id));
  const all = ids.length > 0 && ids.every((id) => props.selection.ids.has(id));
  return (
    <Th
      aria-label="Selection"
      select={{
        isSelected: all,
        isHeaderSelectDisabled: ids.length === 0,
        onSelect: (_, on) => props.selection.toggle(ids, on),
      }}
    />
  );
}

interface RowProps<Row extends { id: string | number }> {
  row: Row;
  index: number;
  columns: Column<Row>[];
  selection: Selection<Row> | undefined;
  actions: ((row: Row) => IAction[]) | undefined;
  nameOf: (row: Row) => string;
  detail: ((row: Row) => ReactNode) | undefined;
}

function DataRow<Row extends { id: string | number }>(props: RowProps<Row>) {
  const { row, index, columns, selection, actions, nameOf } = props;
  const id = String(row.id);
  const below = props.detail?.(row);
  return (
    <>
      <Tr isRowSelected={selection?.ids.has(id) ?? false}>
        {selection && (
          <Td
            select={{
              rowIndex: index,
              isSelected: selection.ids.has(id),
              isDisabled: selection.selectable?.(row) === false,
              onSelect: (_, on) => selection.toggle([id], on),
            }}
          />
        )}
        {columns.map((column) => (
          <Td
            key={column.title}
            dataLabel={column.title}
            className={cellClass(column)}
            {...(column.nowrap ? { modifier: "nowrap" as const } : {})}
          >
            {column.render(row)}
          </Td>
        ))}
        {actions && (
          <Td isActionCell>
            <RowActions items={actions(row)} name={nameOf(row)} />
          </Td>
        )}
      </Tr>
      {below && (
        <Tr className="kv-row-detail">
          <Td colSpan={columns.length + (selection ? 1 : 0) + (actions ? 1 : 0)}>{below}</Td>
        </Tr>
      )}
    </>
  );
}

/** The three dots of a row. */
export function RowActions({ items, name }: { items: IAction[]; name: string }) {
  if (items.length === 0) return null;
  return (
    <ActionsColumn
      items={items}
      rowData={{}}
      popperProps={{ position: "right", appendTo: menuHome }}
      actionsToggle={({ onToggle, isOpen, toggleRef }) => (
        <MenuToggle
          ref={toggleRef}
          variant="plain"
          aria-label={`Actions for ${name}`}
          isExpanded={isOpen}
          onClick={onToggle}
          icon={<EllipsisVIcon />}
        />
      )}
    />
  );
}

function SkeletonRows({ columns }: { columns: number }) {
  return (
    <>
      {Array.from({ length: 8 }, (_, row) => (
        <Tr key={row}>
          {Array.from({ length: columns }, (_, column) => (
            <Td key={column}>
              <Skeleton screenreaderText={row === 0 && column === 0 ? "Loading" : ""} />
            </Td>
          ))}
        </Tr>
      ))}
    </>
  );
}

function NoRows({ empty, narrowed }: { empty: Props<{ id: string }>["empty"]; narrowed: boolean }) {
  return (
    <Bullseye>
      {narrowed
        ? (
          <EmptyState headingLevel="h2" titleText="Nothing matches" icon={SearchIcon}>
            <EmptyStateBody>No entry fits the search and the filters.</EmptyStateBody>
            <EmptyStateFooter>
              <EmptyStateActions>
                <Button variant="link" onClick={clearFilters}>Clear filters</Button>
              </EmptyStateActions>
            </EmptyStateFooter>
          </EmptyState>
        )
        : (
          <EmptyState headingLevel="h2" titleText={empty.title} icon={CubesIcon}>
            <EmptyStateBody>{empty.text}</EmptyStateBody>
            {empty.action && (
              <EmptyStateFooter>
                <EmptyStateActions>{empty.action}</EmptyStateActions>
              </EmptyStateFooter>
            )}
          </EmptyState>
        )}
    </Bullseye>
  );
}
