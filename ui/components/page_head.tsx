import {
  Breadcrumb,
  BreadcrumbItem,
  Content,
  Flex,
  FlexItem,
  PageSection,
  Title,
} from "@patternfly/react-core";
import { useEffect } from "preact/hooks";
import type { ReactNode } from "react";
import { siteName } from "../stores/session.ts";

interface Props {
  title: string;
  /** Pages above this one. */
  trail?: { href: string; text: string }[];
  /** Labels beside the title. */
  labels?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
}

/** Title of a page with its place, state and main actions. */
export function PageHead({ title, trail, labels, description, actions }: Props) {
  const site = siteName.value;
  useEffect(() => {
    document.title = `${title} · ${site}`;
  }, [title, site]);
  return (
    <PageSection className="kv-page-head">
      {trail && (
        <Breadcrumb className="kv-trail">
          {trail.map(({ href, text }) => <BreadcrumbItem key={href} to={href}>{text}</BreadcrumbItem>)}
          <BreadcrumbItem isActive>{title}</BreadcrumbItem>
        </Breadcrumb>
      )}
      <Flex
        justifyContent={{ default: "justifyContentSpaceBetween" }}
        alignItems={{ default: "alignItemsCenter" }}
        gap={{ default: "gapMd" }}
      >
        <Flex gap={{ default: "gapSm" }} alignItems={{ default: "alignItemsCenter" }}>
          <Title headingLevel="h1">{title}</Title>
          {labels && <span className="kv-labels">{labels}</span>}
        </Flex>
        {actions && <FlexItem className="kv-actions">{actions}</FlexItem>}
      </Flex>
      {description && <Content component="p" className="kv-description">{description}</Content>}
    </PageSection>
  );
}
