import {
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  PageToggleButton,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { isStaff, siteName } from "../stores/session.ts";
import { runningUploads } from "../stores/uploads.ts";
import { AccountMenu, ThemeMenu } from "./account_menu.tsx";
import { JobIndicator, WarningBell } from "./indicators.tsx";
import { UploadIndicator } from "./upload_indicator.tsx";
import { SearchEverything } from "./search_everything.tsx";

/** The bar at the top; with a sidebar also its toggle, and what only staff needs. */
export function AppMasthead({ hasSidebar = false }: { hasSidebar?: boolean }) {
  return (
    <Masthead>
      <MastheadMain>
        {hasSidebar && (
          <MastheadToggle>
            <PageToggleButton isHamburgerButton aria-label="Navigation" />
          </MastheadToggle>
        )}
        <MastheadBrand>
          <MastheadLogo component="a" href={hasSidebar ? "/overview" : "/desktops"} className="kv-brand">
            <BrandMark />
            <span>{siteName.value}</span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <Toolbar isFullHeight isStatic inset={{ default: "insetNone" }}>
          <ToolbarContent>
            {hasSidebar && (
              <ToolbarItem className="kv-masthead-search">
                <SearchEverything />
              </ToolbarItem>
            )}
            <ToolbarGroup align={{ default: "alignEnd" }} variant="action-group-plain">
              {hasSidebar && isStaff.value && (
                <>
                  {runningUploads.value.length > 0 && (
                    <ToolbarItem>
                      <UploadIndicator />
                    </ToolbarItem>
                  )}
                  <ToolbarItem>
                    <JobIndicator />
                  </ToolbarItem>
                  <ToolbarItem>
                    <WarningBell />
                  </ToolbarItem>
                </>
              )}
              <ToolbarItem>
                <ThemeMenu />
              </ToolbarItem>
              <ToolbarItem>
                <AccountMenu />
              </ToolbarItem>
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
      </MastheadContent>
    </Masthead>
  );
}

function BrandMark() {
  return (
    <svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true">
      <rect
        x="1.5"
        y="3"
        width="21"
        height="14"
        rx="2.5"
        fill="none"
        stroke="currentColor"
        stroke-width="2"
      />
      <path d="M8 21h8M12 17v4" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
      <path d="m9.5 7 5 3-5 3z" fill="currentColor" />
    </svg>
  );
}
