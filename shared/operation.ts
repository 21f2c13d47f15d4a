import { z } from 'zod'

/** Long work a caller can watch. */
export const OperationView = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.enum(['running', 'done', 'failed']),
  done: z.int(),
  total: z.int().nullable(),
  result: z.unknown().nullable(),
  error: z.string().nullable()
})
export type OperationView = z.infer<typeof OperationView>
