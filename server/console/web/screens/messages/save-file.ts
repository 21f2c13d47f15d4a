/** So much text is handed on at once. */
const PIECE = 64 * 1024

/**
 * Hands the browser a file to keep, as it comes: what has come lies where the browser keeps downloads, a disk for long
 * ones, and not in the memory of the page. @throws what `lines` throws
 */
export async function saveLines(name: string, type: string, lines: AsyncGenerator<string>): Promise<void> {
  const pieces = new ReadableStream<string>({
    async pull(controller) {
      let piece = ''
      while (piece.length < PIECE) {
        const { done, value } = await lines.next()
        if (done) {
          if (piece !== '') controller.enqueue(piece)
          return controller.close()
        }
        piece += value
      }
      controller.enqueue(piece)
    }
  })
  const body = pieces.pipeThrough(new TextEncoderStream())
  const file = await new Response(body, { headers: { 'content-type': type } }).blob()
  const url = URL.createObjectURL(file)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
