import { z } from 'zod'

/** The body of every error answer: RFC 9457 problem details, with a stable `code` and the place of each fault. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })).optional()
  })
  .loose()
export type Problem = z.infer<typeof Problem>
