import {
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Label,
  List,
  ListItem,
  ToolbarItem,
} from "@patternfly/react-core";
import DownloadIcon from "@patternfly/react-icons/dist/esm/icons/download-icon";
import { useState } from "preact/hooks";
import { plainPaths } from "../../../contracts/api.ts";
import { FileKind, type StorageFile, type StorageReport } from "../../../contracts/storage.ts";
import { ActionButton } from "../../components/action_button.tsx";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, plural } from "../../format.ts";
import { useListQuery } from "../../stores/list_query.ts";
import type { Loaded } from "../../stores/load.ts";
import { isAdmin } from "../../stores/session.ts";
import { deleteFiles, type Refusal } from "./storage_actions.ts";
import {
  arrangeFiles,
  fileNameOf,
  fileSorts,
  folderOf,
  isRubbish,
  kindHelp,
  kindTexts,
} from "./storage_words.ts";

type Row = StorageFile & { id: string };

/** Every file in the agent's directories. What nothing uses can be selected and deleted. */
export function StorageFiles(
  { hypervisorId, loaded }: { hypervisorId: string; loaded: Loaded<StorageReport> },
) {
  const list = useListQuery({ sort: "size", order: "desc" });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [refused, setRefused] = useState<Refusal[]>([]);
  const files = loaded.value?.files ?? [];
  const found = arrangeFiles(files, {
    q: list.q,
    kind: list.filter("kind"),
    sort: fileSorts.find((one) => one === list.sort) ?? "size",
    descending: list.order === "desc",
  });
  const from = (list.page - 1) * list.perPage;
  const rows = found.slice(from, from + list.perPage).map((file): Row => ({ ...file, id: file.path }));
  const chosen = files.filter((file) => selected.has(file.path) && file.removable);
  const rubbish = files.filter(isRubbish);
  const remove = async () => {
    const answer = await deleteFiles(hypervisorId, chosen);
    if (answer === null) return;
    setRefused(answer);
    setSelected(new Set());
    loaded.reload();
  };
  const toggle = (paths: string[], on: boolean) => {
    const next = new Set(selected);
    for (const path of paths) {
      if (on) next.add(path);
      else next.delete(path);
    }
    setSelected(next);
  };
  return (
    <Card>
      <CardTitle component="h2">Files</CardTitle>
      <CardBody>
        <ListToolbar
          list={list}
          total={loaded.value ? found.length : undefined}
          search="File or machine"
          filters={[{
            name: "kind",
            title: "Kind",
            options: FileKind.options.filter((kind) => files.some((file) => file.kind === kind))
              .map((value) => ({ value, text: kindTexts[value] })),
          }]}
        >
          {isAdmin.value && rubbish.length > 0 && (
            <ToolbarItem>
              <Button
                variant="secondary"
                onClick={() => setSelected(new Set(rubbish.map((one) => one.path)))}
              >
                Select {plural(rubbish.length, "stray or partial file", "stray and partial files")}
              </Button>
            </ToolbarItem>
          )}
        </ListToolbar>
        {chosen.length > 0 && (
          <div className="kv-bulk" role="region" aria-label="Selected files">
            <strong>
              {plural(chosen.length, "file")},{" "}
              {formatBytes(chosen.reduce((sum, one) => sum + one.allocatedBytes, 0))}
            </strong>
            <Button variant="link" isInline onClick={() => setSelected(new Set())}>Clear</Button>
            <ActionButton variant="secondary" size="sm" isDanger onAction={remove}>
              Delete selected files
            </ActionButton>
          </div>
        )}
        {refused.length > 0 && (
          <Alert
            isInline
            variant="warning"
            component="p"
            className="kv-gap-below"
            title={`${plural(refused.length, "file")} ${refused.length === 1 ? "was" : "were"} not deleted`}
          >
            <List isPlain>
              {refused.map(({ path, message }) => <ListItem key={path}>{path}: {message}</ListItem>)}
            </List>
          </Alert>
        )}
        <DataTable
          label="Files"
          loaded={{ ...loaded, value: loaded.value && { items: rows } }}
          list={list}
          columns={columns(hypervisorId)}
          nameOf={(file) => fileNameOf(file.path)}
          {...(isAdmin.value
            ? { selection: { ids: selected, toggle, selectable: (file: Row) => file.removable } }
            : {})}
          empty={{
            title: "No files",
            text: "The hypervisor's directories are empty. Upload an ISO to begin.",
          }}
        />
        {found.length > list.perPage && <ListPagination list={list} total={found.length} />}
      </CardBody>
    </Card>
  );
}

function columns(hypervisorId: string): Column<Row>[] {
  return [
    {
      title: "File",
      sort: "name",
      render: (file) => (
        <div className="kv-line kv-file">
          <span className="kv-path">{fileNameOf(file.path)}</span>
          <span className="kv-quiet kv-small kv-wrap">{folderOf(file.path)}</span>
        </div>
      ),
    },
    {
      title: "Kind",
      sort: "kind",
      render: (file) => (
        <Label
          isCompact
          variant="outline"
          color={file.kind === "stray" || file.kind === "partial" ? "orange" : "blue"}
          title={kindHelp[file.kind]}
        >
          {kindTexts[file.kind]}
        </Label>
      ),
    },
    {
      title: "Size",
      sort: "size",
      nowrap: true,
      render: (file) => (
        <span className="kv-load">
          {formatBytes(file.allocatedBytes)}
          {file.virtualBytes > file.allocatedBytes && <small>of {formatBytes(file.virtualBytes)}</small>}
        </span>
      ),
    },
    {
      title: "Belongs to",
      render: (file) => file.ownerId ? <a href={ownerPath(file)}>{file.ownerName}</a> : file.ownerName ?? "–",
    },
    {
      title: "Why it is there",
      render: (file) => (
        <div className="kv-line kv-small">
          <span>{file.reason}</span>
          {file.inUse && <span className="kv-quiet">{usedText(file)}</span>}
        </div>
      ),
    },
    {
      title: "Modified",
      sort: "modified",
      minor: true,
      nowrap: true,
      render: (file) => <Time at={file.modifiedAt} />,
    },
    {
      title: "Download",
      render: (file) =>
        file.kind === "scratch" || file.kind === "partial" ? null : (
          <Button
            variant="plain"
            component="a"
            href={plainPaths.download(hypervisorId, file.path)}
            download={fileNameOf(file.path)}
            icon={<DownloadIcon />}
            aria-label={`Download ${fileNameOf(file.path)}`}
          />
        ),
    },
  ];
}

const ownerPath = (file: StorageFile) =>
  file.kind === "version" ? `/images/${file.ownerId}` : `/machines/${file.ownerId}`;

const usedText = (file: StorageFile) =>
  file.domainIds.length > 1 ? `in use by ${file.domainIds.length.toLocaleString("en")} machines` : "in use";
