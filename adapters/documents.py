"""The GraphQL documents the app sends, all checked against Shopify's own schema by the tests.

A batch document takes `$ids` and answers `nodes`, with null for what is gone. Each connection's size is a variable,
because cost is asked for by size. A page document goes on where a batch stopped, and answers `owner { page }`.
"""

MEMBERSHIPS = """
query Memberships($ids: [ID!]!, $metafields: Int!) {
  nodes(ids: $ids) {
    id
    ... on Customer {
      updatedAt
      tags
      metafields(first: $metafields, namespace: "sparklayer") { nodes { key } }
    }
  }
}
"""

METAFIELD_PAGE = "{ nodes { key type value } pageInfo { hasNextPage endCursor } }"

ADDRESS_PAGE = """{
        nodes {
          id firstName lastName company address1 address2 city province provinceCode zip countryCodeV2 phone
        }
        pageInfo { hasNextPage endCursor }
      }"""

VARIANT_PAGE = """{
        nodes {
          id sku barcode title price position inventoryQuantity selectedOptions { name value }
        }
        pageInfo { hasNextPage endCursor }
      }"""

CUSTOMERS = f"""
query Customers($ids: [ID!]!, $metafields: Int!, $addresses: Int!) {{
  nodes(ids: $ids) {{
    id
    ... on Customer {{
      firstName
      lastName
      state
      taxExempt
      tags
      updatedAt
      defaultEmailAddress {{ emailAddress }}
      defaultPhoneNumber {{ phoneNumber }}
      defaultAddress {{ id }}
      addressesV2(first: $addresses) {ADDRESS_PAGE}
      metafields(first: $metafields, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

CUSTOMER_ADDRESSES = f"""
query CustomerAddresses($id: ID!, $first: Int!, $after: String!) {{
  owner: node(id: $id) {{
    ... on Customer {{
      page: addressesV2(first: $first, after: $after) {ADDRESS_PAGE}
    }}
  }}
}}
"""

CUSTOMER_METAFIELDS = f"""
query CustomerMetafields($id: ID!, $first: Int!, $after: String!) {{
  owner: node(id: $id) {{
    ... on Customer {{
      page: metafields(first: $first, after: $after, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

PRODUCTS = f"""
query Products($ids: [ID!]!, $variants: Int!) {{
  nodes(ids: $ids) {{
    id
    ... on Product {{
      title
      handle
      status
      vendor
      productType
      tags
      updatedAt
      variants(first: $variants) {VARIANT_PAGE}
    }}
  }}
}}
"""

PRODUCT_VARIANTS = f"""
query ProductVariants($id: ID!, $first: Int!, $after: String!) {{
  owner: node(id: $id) {{
    ... on Product {{
      page: variants(first: $first, after: $after) {VARIANT_PAGE}
    }}
  }}
}}
"""

VARIANTS_METAFIELDS = f"""
query VariantsMetafields($ids: [ID!]!, $metafields: Int!) {{
  nodes(ids: $ids) {{
    id
    ... on ProductVariant {{
      product {{ id }}
      metafields(first: $metafields, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

VARIANT_METAFIELDS = f"""
query VariantMetafields($id: ID!, $first: Int!, $after: String!) {{
  owner: node(id: $id) {{
    ... on ProductVariant {{
      page: metafields(first: $first, after: $after, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

PRODUCTS_METAFIELDS = f"""
query ProductsMetafields($ids: [ID!]!, $metafields: Int!) {{
  nodes(ids: $ids) {{
    id
    ... on Product {{
      metafields(first: $metafields, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

PRODUCT_METAFIELDS = f"""
query ProductMetafields($id: ID!, $first: Int!, $after: String!) {{
  owner: node(id: $id) {{
    ... on Product {{
      page: metafields(first: $first, after: $after, namespace: "sparklayer") {METAFIELD_PAGE}
    }}
  }}
}}
"""

PRODUCTS_COUNT = """
query ProductsCount {
  productsCount(limit: null) { count precision }
}
"""

CUSTOMERS_COUNT = """
query CustomersCount {
  customersCount(limit: null) { count precision }
}
"""

SHOP_FACTS = """
query ShopFacts {
  shop { name myshopifyDomain ianaTimezone }
  currentAppInstallation { accessScopes { handle } }
  publicApiVersions { handle supported }
}
"""

PRODUCT_LIST = """
query ProductList($first: Int!, $after: String, $query: String, $sortKey: ProductSortKeys!) {
  products(first: $first, after: $after, query: $query, sortKey: $sortKey) {
    nodes { id updatedAt }
    pageInfo { hasNextPage endCursor }
  }
}
"""

CUSTOMER_LIST = """
query CustomerList($first: Int!, $after: String, $query: String, $sortKey: CustomerSortKeys!) {
  customers(first: $first, after: $after, query: $query, sortKey: $sortKey) {
    nodes {
      id
      updatedAt
      tags
      metafields(first: 20, namespace: "sparklayer") { nodes { key type value } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

CHECK_PRODUCTS = """
query CheckProducts(
  $ids: [ID!]!
  $first: Int!
  $search: String!
  $searches: Boolean!
  $handle: String!
  $hasHandle: Boolean!
  $title: String!
  $hasTitle: Boolean!
) {
  nodes(ids: $ids) {
    id
    ... on Product { title status updatedAt }
    ... on ProductVariant { product { id title status updatedAt } }
  }
  productVariants(first: $first, query: $search) @include(if: $searches) {
    nodes { sku barcode product { id title status updatedAt } }
  }
  productByIdentifier(identifier: { handle: $handle }) @include(if: $hasHandle) { id title status updatedAt }
  products(first: $first, query: $title) @include(if: $hasTitle) {
    nodes { id title status updatedAt }
  }
}
"""

CHECK_CUSTOMERS = """
query CheckCustomers(
  $ids: [ID!]!
  $email: String!
  $hasEmail: Boolean!
  $phone: String!
  $hasPhone: Boolean!
  $first: Int!
  $words: String!
  $hasWords: Boolean!
) {
  nodes(ids: $ids) {
    id
    ...Checked
  }
  byEmail: customerByIdentifier(identifier: { emailAddress: $email }) @include(if: $hasEmail) { ...Checked }
  byPhone: customerByIdentifier(identifier: { phoneNumber: $phone }) @include(if: $hasPhone) { ...Checked }
  customers(first: $first, query: $words) @include(if: $hasWords) {
    nodes { ...Checked }
  }
}

fragment Checked on Customer {
  id
  updatedAt
  tags
  ours: metafields(first: 20, namespace: "sparklayer") { nodes { key } }
  all: metafields(first: 20) { nodes { namespace } }
}
"""

EXISTING = """
query Existing($ids: [ID!]!) {
  nodes(ids: $ids) { id }
}
"""

BULK_RUN = """
mutation BulkRun($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: false) {
    bulkOperation { id status }
    userErrors { code field message }
  }
}
"""

BULK_STATE = """
query BulkState($id: ID!) {
  bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount url }
}
"""

BULK_CANCEL = """
mutation BulkCancel($id: ID!) {
  bulkOperationCancel(id: $id) {
    bulkOperation { id status }
    userErrors { field message }
  }
}
"""

# What a bulk operation is asked for. Sizes and cursors are ignored there, and its own cost is nothing.
BULK_QUERIES = {
    "products": """
{
  products {
    edges {
      node {
        id title handle status vendor productType tags updatedAt
        variants {
          edges {
            node {
              id sku barcode title price position inventoryQuantity
              selectedOptions { name value }
              metafields(namespace: "sparklayer") { edges { node { id key type value } } }
            }
          }
        }
        metafields(namespace: "sparklayer") { edges { node { id key type value } } }
      }
    }
  }
}
""",
    "customers": """
{
  customers {
    edges {
      node {
        id updatedAt tags
        metafields(namespace: "sparklayer") { edges { node { id key type value } } }
      }
    }
  }
}
""",
}

SUBSCRIPTIONS = """
query Subscriptions($first: Int!, $after: String) {
  webhookSubscriptions(first: $first, after: $after) {
    nodes {
      id
      topic
      uri
      format
      filter
      includeFields
      metafieldNamespaces
      metafields { namespace key }
      apiVersion { handle }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""

SUBSCRIBE = """
mutation Subscribe($topic: WebhookSubscriptionTopic!, $wish: WebhookSubscriptionInput!) {
  answer: webhookSubscriptionCreate(topic: $topic, webhookSubscription: $wish) { userErrors { field message } }
}
"""

CHANGE_SUBSCRIPTION = """
mutation ChangeSubscription($id: ID!, $wish: WebhookSubscriptionInput!) {
  answer: webhookSubscriptionUpdate(id: $id, webhookSubscription: $wish) { userErrors { field message } }
}
"""

UNSUBSCRIBE = """
mutation Unsubscribe($id: ID!) {
  answer: webhookSubscriptionDelete(id: $id) { userErrors { field message } }
}
"""

DELETED_PRODUCTS = """
query DeletedProducts($first: Int!, $after: String, $query: String) {
  events(first: $first, after: $after, query: $query, sortKey: CREATED_AT) {
    nodes { id action ... on BasicEvent { subjectId subjectType } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
