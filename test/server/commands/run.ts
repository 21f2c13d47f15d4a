import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { runCli } from '../../../server/commands/cli.js'

/** One command line in this process: its exit code and what it wrote; `piped` are the bytes it put on standard output. */
export async function run(argv: string[], env: Record<string, string> = {}, stdin: string | Buffer = '') {
  const out: string[] = []
  const err: string[] = []
  const output = new PassThrough()
  const written = buffer(output)
  const io = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    env,
    stdin: async () => stdin.toString(),
    input: () => Readable.from([Buffer.from(stdin)]),
    output: () => output
  }
  const code = await runCli(argv, io)
  output.end()
  return { code, out: out.join('\n'), err: err.join('\n'), piped: await written }
}
