/** The mini-program, as scripts/build-phone-page.mjs found it in miniprogram/demo; the build puts it in place of this. */
export interface Program {
  app: { pages: string[]; window?: { navigationBarTitleText?: string } }
  runApp(): void
  /** Pages and components, each with the code that registers it. */
  parts: { id: string; json: Record<string, unknown>; scope: string; run(): void }[]
  /** Compiled templates by id. */
  templates: Record<string, unknown>
}
export const program: Program
