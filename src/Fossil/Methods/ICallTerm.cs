using Fossil.Adapters;

namespace Fossil.Methods;

/// <summary>One adapter's part in a call, for some rows of the flattened input.</summary>
internal interface ICallTerm
{
    /// <summary>The rows.</summary>
    RowRange Rows { get; }
}
