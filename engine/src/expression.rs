//! Expressions of SQL, made ready to be evaluated.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;

/// Plans `expression` over rows of `schema`. It is simplified first, which some
/// functions (`arrow_cast`) rely on: they exist only until then.
pub(crate) fn physical(
    state: &SessionState,
    expression: Expr,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(state.config_options().clone())
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expression = simplifier.simplify(simplifier.coerce(expression, schema)?)?;
    state.create_physical_expr(expression, schema)
}
