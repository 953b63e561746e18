/** A backend of its own that applies one upload: arguments are the url of the database and the body. */
import { createUploadHandler } from './upload-handler.ts'

const [url = '', body = ''] = process.argv.slice(2)

const handler = createUploadHandler({
  database: url,
  verify: async () => ({ userId: 'ann', claims: {} }),
  tables: { todos: { mayWrite: 'everyone' } },
})
await handler(new Request('http://backend/upload', { method: 'POST', body }))
await handler.close()
