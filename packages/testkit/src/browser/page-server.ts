import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Plugin } from 'vite'

export type PageServer = {
  /** Without a slash at its end. The page at `/` has loaded the script when its title is `ready`. */
  readonly url: string
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const REPOSITORY = join(import.meta.dirname, '..', '..', '..', '..')

/** Serves one page that runs `script`, a module of this repository, from the sources as they are. */
export async function startPageServer(script: string): Promise<PageServer> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'headwater-vite-'))
  const server = await createServer({
    configFile: false,
    root: REPOSITORY,
    cacheDir,
    logLevel: 'error',
    appType: 'custom',
    plugins: [onePage(script)],
    resolve: { conditions: ['@headwater/source', 'module', 'browser', 'development'] },
    worker: { format: 'es' },
    optimizeDeps: {
      noDiscovery: true,
      include: ['react', 'react-dom', 'react-dom/client', 'react/jsx-runtime', 'react/jsx-dev-runtime'],
    },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, allowedHosts: true },
  })
  await server.listen()
  const address = server.httpServer?.address()
  if (address === null || address === undefined || typeof address === 'string') {
    throw new Error('Cannot serve a page: expected the server to listen on a port')
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      await server.close()
      await rm(cacheDir, { recursive: true, force: true })
    },
  }
}

function onePage(script: string): Plugin {
  const html = `<!doctype html><title>loading</title><div id="root"></div>
<script type="module">import '/@fs${script}'; document.title = 'ready'</script>`
  return {
    name: 'one-page',
    configureServer: (server) => {
      server.middlewares.use((request, response, next) => {
        if (request.url !== '/') return next()
        response.setHeader('content-type', 'text/html')
        response.end(html)
      })
    },
  }
}
