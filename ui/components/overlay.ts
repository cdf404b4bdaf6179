/** Where menus are attached: inside the page's main landmark, but outside tables, which would cut them off. */
export const menuHome = (): HTMLElement => document.getElementById("main") ?? document.body;
