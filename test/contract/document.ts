import { isRecord } from '../../simulator/record.js';

/**
 * Where Allegro's document, or what Prism makes of it, lets wrong fields through or refuses right ones. Each is mended in a copy that
 * lives as long as the test:
 *
 * - Objects are open: a misspelt field would pass. They are closed: every field has to be in the document.
 * - `allOf` of objects cannot be closed part by part: each part would refuse the fields of the others. The parts are put together.
 *   With that, `nullable` beside an `allOf` stands beside its `type`.
 * - `nullable` without a `type` is an error to Prism, upon which it checks the whole body not at all, in silence. It becomes a choice
 *   of null.
 * - A `discriminator` with a mapping but without `oneOf` is passed over: a stock of the bulk command, an event of an offer would be
 *   checked by their common base alone. The base becomes a choice of what it maps to.
 * - `oneOf` fails where two of its shapes are the same (`TaskWithSubjectReport`). It becomes `anyOf`.
 */
export function mendDocument(document: unknown): unknown {
  if (!isRecord(document)) throw new Error('The OpenAPI document is no object');
  return new Mending(document).mend();
}

const NULL = { enum: [null] };

type Schema = Readonly<Record<string, unknown>>;

class Mending {
  readonly #document: Schema;

  constructor(document: Schema) {
    this.#document = document;
  }

  mend(): unknown {
    const { components } = this.#document;
    const others = isRecord(components) ? mapValues(components, (part) => this.#outside(part)) : {};
    const schemas = isRecord(components) ? components['schemas'] : undefined;
    return {
      ...mapValues(this.#document, (part) => this.#outside(part)),
      components: { ...others, schemas: isRecord(schemas) ? mapValues(schemas, (schema) => this.#schema(schema)) : {} },
    };
  }

  /** Paths, parameters, responses: what is no schema, down to the schemas in it. */
  #outside(node: unknown): unknown {
    if (Array.isArray(node)) return node.map((element: unknown) => this.#outside(element));
    if (!isRecord(node)) return node;
    return Object.fromEntries(
      Object.entries(node)
        .filter(([key]) => key !== 'example' && key !== 'examples')
        .map(([key, value]) => [key, key === 'schema' ? this.#schema(value) : this.#outside(value)]),
    );
  }

  #schema(schema: unknown): unknown {
    if (!isRecord(schema) || schema['$ref'] !== undefined) return schema;
    const whole = this.#together(schema);
    const { discriminator, oneOf, ...rest } = whole;
    if (oneOf !== undefined) return this.#inside({ ...rest, anyOf: oneOf });
    const mapping = isRecord(discriminator) ? discriminator['mapping'] : undefined;
    const name = isRecord(discriminator) ? discriminator['propertyName'] : undefined;
    if (!isRecord(mapping) || typeof name !== 'string') return this.#inside(rest);
    const choices = Object.entries(mapping).map(([value, ref]) => {
      const { discriminator: _base, ...mapped } = this.#together(this.#resolve({ $ref: ref }));
      return joined(mapped, { required: [name], properties: { [name]: { type: 'string', enum: [value] } } });
    });
    return this.#inside({ nullable: rest['nullable'], anyOf: choices });
  }

  /** A schema without `allOf`: its parts in one, and theirs. */
  #together(schema: Schema): Schema {
    const { allOf, ...own } = schema;
    if (!Array.isArray(allOf)) return own;
    const parts = allOf.map((part: unknown) => {
      const { discriminator: _base, ...resolved } = this.#together(this.#resolve(part));
      return resolved;
    });
    const isNullable = own['nullable'] === true || parts.every((part) => part['nullable'] === true);
    return { ...[...parts, own].reduce(joined, {}), nullable: isNullable };
  }

  #inside(schema: Schema): Schema {
    const { properties, items, additionalProperties, anyOf, nullable, type, example: _, ...rest } = schema;
    const isClosed = isRecord(properties) && additionalProperties === undefined;
    const isNullable = nullable === true;
    const choices = Array.isArray(anyOf) ? anyOf.map((choice: unknown) => this.#schema(choice)) : undefined;
    return {
      ...rest,
      ...(type === undefined ? {} : { type, nullable: isNullable }),
      ...(isRecord(properties) ? { properties: mapValues(properties, (property) => this.#schema(property)) } : {}),
      ...(items === undefined ? {} : { items: this.#schema(items) }),
      ...(choices === undefined ? {} : { anyOf: isNullable ? [...choices, NULL] : choices }),
      ...(additionalProperties === undefined ? {} : { additionalProperties: this.#schema(additionalProperties) }),
      ...(isClosed ? { additionalProperties: false } : {}),
    };
  }

  #resolve(schema: unknown): Schema {
    if (!isRecord(schema)) return {};
    const { $ref: ref } = schema;
    if (typeof ref !== 'string') return schema;
    let node: unknown = this.#document;
    for (const step of ref.replace('#/', '').split('/')) node = isRecord(node) ? node[step] : undefined;
    if (!isRecord(node)) throw new Error(`The OpenAPI document has no ${ref}`);
    return this.#resolve(node);
  }
}

/** Two schemas that both hold, as one. */
function joined(a: Schema, b: Schema): Schema {
  const required = [...names(a['required']), ...names(b['required'])];
  const [own, other] = [a['properties'], b['properties']];
  const properties: Record<string, unknown> = isRecord(own) ? { ...own } : {};
  for (const [name, property] of Object.entries(isRecord(other) ? other : {})) {
    properties[name] = name in properties ? { allOf: [properties[name], property] } : property;
  }
  return {
    ...a,
    ...b,
    ...(required.length === 0 ? {} : { required: [...new Set(required)] }),
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
  };
}

function names(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function mapValues(record: Schema, change: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
