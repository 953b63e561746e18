import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatMetricsDoc } from './metrics-doc.ts'

writeFileSync(join(import.meta.dirname, '../docs/reference/metrics.md'), formatMetricsDoc())
