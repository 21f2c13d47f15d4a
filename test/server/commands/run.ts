import { runCli } from '../../../server/commands/cli.js'

/** One command line in this process: its exit code and what it wrote. */
export async function run(argv: string[], env: Record<string, string> = {}, stdin = '') {
  const out: string[] = []
  const err: string[] = []
  const io = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    env,
    stdin: async () => stdin
  }
  const code = await runCli(argv, io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}
