import { defineConfig } from 'vite'

export default defineConfig({
  // The database runs in a worker that is an ES module.
  worker: { format: 'es' },
  // The SQLite engine finds its WASM file beside itself, so it must stay where it is.
  optimizeDeps: { exclude: ['@sqlite.org/sqlite-wasm', '@headwater/client', '@headwater/protocol'] },
  build: { target: 'es2023', chunkSizeWarningLimit: 1000 },
  // Only inside Headwater's own repository: use the sources of its packages as they are.
  resolve: { conditions: ['@headwater/source', 'module', 'browser', 'development|production'] },
})
