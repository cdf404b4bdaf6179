import {
  Button,
  MenuToggle,
  Pagination,
  Select,
  SelectList,
  SelectOption,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ReactNode } from "react";
import { setQuery } from "../router.ts";
import { menuHome } from "./overlay.ts";
import { SearchBox } from "./search_box.tsx";
import {
  clearFilters,
  type ListQueryState,
  perPageChoices,
  setFilter,
  setPerPage,
} from "../stores/list_query.ts";

export interface Filter {
  /** Name of its query parameter. */
  name: string;
  title: string;
  options: { value: string; text: string }[];
}

interface Props {
  list: ListQueryState;
  total: number | undefined;
  search?: string;
  filters?: Filter[];
  /** Shown before the search: bulk selection. */
  before?: ReactNode;
  children?: ReactNode;
}

/** Search, filters and paging of a list; all of it is in the URL. */
export function ListToolbar({ list, total, search, filters = [], before, children }: Props) {
  return (
    <Toolbar inset={{ default: "insetNone" }} className="kv-toolbar">
      <ToolbarContent>
        {before && <ToolbarItem>{before}</ToolbarItem>}
        {search && (
          <ToolbarItem className="kv-list-search">
            <ListSearch placeholder={search} value={list.q} />
          </ToolbarItem>
        )}
        {filters.length > 0 && (
          <ToolbarGroup variant="filter-group">
            {filters.map((filter) => (
              <ToolbarItem key={filter.name}>
                <FilterSelect filter={filter} value={list.filter(filter.name)} />
              </ToolbarItem>
            ))}
          </ToolbarGroup>
        )}
        {list.narrowed && (
          <ToolbarItem>
            <Button variant="link" onClick={clearFilters}>Clear filters</Button>
          </ToolbarItem>
        )}
        {children}
        {total !== undefined && (
          <ToolbarItem variant="pagination" align={{ default: "alignEnd" }}>
            <ListPagination list={list} total={total} isCompact />
          </ToolbarItem>
        )}
      </ToolbarContent>
    </Toolbar>
  );
}

/** Typing searches after a moment; Enter at once. */
function ListSearch({ value, placeholder }: { value: string; placeholder: string }) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const sent = useRef(value);
  useEffect(() => {
    if (value === sent.current) return; // our own search: what was typed since must stay
    sent.current = value;
    setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (wanted: string, delayMs: number) => {
    setText(wanted);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = wanted.trim();
      setFilter("q", sent.current);
    }, delayMs);
  };
  return (
    <SearchBox
      label={placeholder}
      value={text}
      onChange={(wanted) => search(wanted, wanted === "" ? 0 : 250)}
      onEnter={() => search(text, 0)}
    />
  );
}

function FilterSelect({ filter, value }: { filter: Filter; value: string }) {
  const [open, setOpen] = useState(false);
  const chosen = filter.options.find((option) => option.value === value);
  return (
    <Select
      isOpen={open}
      selected={value}
      onOpenChange={setOpen}
      onSelect={(_, picked) => {
        setFilter(filter.name, String(picked));
        setOpen(false);
      }}
      popperProps={{ appendTo: menuHome }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          isExpanded={open}
          onClick={() => setOpen(!open)}
        >
          {chosen ? `${filter.title}: ${chosen.text}` : filter.title}
        </MenuToggle>
      )}
    >
      <SelectList aria-label={filter.title} className="kv-options">
        <SelectOption value="">Any</SelectOption>
        {filter.options.map((option) => (
          <SelectOption key={option.value} value={option.value}>{option.text}</SelectOption>
        ))}
      </SelectList>
    </Select>
  );
}

export function ListPagination(props: { list: ListQueryState; total: number; isCompact?: boolean }) {
  const { list, total, isCompact = false } = props;
  return (
    <Pagination
      itemCount={total}
      page={list.page}
      perPage={list.perPage}
      perPageOptions={perPageChoices.map((value) => ({ title: String(value), value }))}
      onSetPage={(_, page) => setQuery({ page: page > 1 ? page : null })}
      onPerPageSelect={(_, perPage) => setPerPage(perPage)}
      isCompact={isCompact}
      variant={isCompact ? "top" : "bottom"}
      widgetId={isCompact ? "paging-top" : "paging-bottom"}
      titles={{ paginationAriaLabel: isCompact ? "Paging above the list" : "Paging below the list" }}
    />
  );
}
