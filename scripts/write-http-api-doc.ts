import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatHttpApiDoc, openApiDocument } from './http-api-doc.ts'

const folder = join(import.meta.dirname, '../docs/reference')
writeFileSync(join(folder, 'http-api.md'), formatHttpApiDoc())
writeFileSync(join(folder, 'http-api.json'), `${JSON.stringify(openApiDocument(), null, 2)}\n`)
