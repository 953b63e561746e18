import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatErrorsDoc } from './errors-doc.ts'

writeFileSync(join(import.meta.dirname, '../docs/reference/errors.md'), formatErrorsDoc())
