import { z } from 'zod'

/** Query of every list. `cursor` is opaque; `sort` is a field, with `-` for descending. */
export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(500).optional(),
  sort: z
    .string()
    .regex(/^-?[A-Za-z.]+$/)
    .optional(),
  count: z.enum(['true', 'false']).optional()
})
export type PageQuery = z.infer<typeof PageQuery>

/** One page of things. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    data: z.array(item),
    page: z.object({ nextCursor: z.string().nullable(), total: z.int().optional(), estimated: z.boolean().optional() })
  })

/** `state=failed,unknown` → a list of allowed words. */
export const wordList = <T extends string>(words: readonly T[]) =>
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(words as readonly [T, ...T[]])))
