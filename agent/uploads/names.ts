/** The file of an upload that is not whole; it lies where the whole file will be. */
export const uploadPartialName =
  /^\.upload-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.partial$/;
export const uploadPartial = (id: string): string => `.upload-${id}.partial`;
