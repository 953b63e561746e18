/**
 * Serves the built app and its backend on one port. By itself: `node server.ts`, with DATABASE_URL, HEADWATER_URL,
 * HEADWATER_JWT_SECRET and PORT in the environment.
 */
import { readFile, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { toNodeListener } from '@headwater/backend'
import { createBackend, type BackendOptions } from './backend.ts'

export type TodoServerOptions = BackendOptions & {
  /** The folder that `vite build` made. */
  readonly appFolder: string
  readonly host: string
  readonly port: number
}

export type TodoServer = { readonly url: string; readonly stop: () => Promise<void> }

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
}

/** Rejects with what `node:http` says when the port is taken (`EADDRINUSE`). */
export async function startTodoServer(options: TodoServerOptions): Promise<TodoServer> {
  const backend = createBackend(options)
  const server = createServer(
    toNodeListener((request) => backend.answer(request) ?? answerFile(options.appFolder, request)),
  )
  await listen(server, options)
  return {
    url: `http://${options.host}:${options.port}`,
    stop: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      await backend.close()
    },
  }
}

async function answerFile(folder: string, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  // Normalizing an absolute path leaves no `..` that could climb out of the folder.
  const path = join(folder, normalize(decodeURIComponent(pathname === '/' ? '/index.html' : pathname)))
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || !found.isFile()) return new Response('Not found', { status: 404 })
  const isForever = pathname.startsWith('/assets/')
  return new Response(await readFile(path), {
    headers: {
      'content-type': CONTENT_TYPES[extname(path)] ?? 'application/octet-stream',
      'cache-control': isForever ? 'public, max-age=31536000, immutable' : 'no-cache',
    },
  })
}

function listen(server: Server, { host, port }: TodoServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
}

if (import.meta.main) {
  const { DATABASE_URL, HEADWATER_URL, HEADWATER_JWT_SECRET, PORT = '5173' } = process.env
  if (DATABASE_URL === undefined || HEADWATER_URL === undefined || HEADWATER_JWT_SECRET === undefined) {
    console.error('Cannot start: set DATABASE_URL, HEADWATER_URL and HEADWATER_JWT_SECRET. README.md says to what.')
    process.exitCode = 1
  } else {
    const { url } = await startTodoServer({
      databaseUrl: DATABASE_URL,
      serviceUrl: HEADWATER_URL,
      secret: HEADWATER_JWT_SECRET,
      appFolder: join(import.meta.dirname, 'dist'),
      host: '127.0.0.1',
      port: Number(PORT),
    })
    console.log(`The app is at ${url}`)
  }
}
