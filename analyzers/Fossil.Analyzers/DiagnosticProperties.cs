namespace Fossil.Analyzers;

/// <summary>Keys of the facts that an analyzer gives to its code fix through <see cref="Microsoft.CodeAnalysis.Diagnostic.Properties"/>.</summary>
internal static class DiagnosticProperties
{
    /// <summary>The name to write instead.</summary>
    public const string Replacement = "Replacement";

    /// <summary>Shard sizes that fit, separated by commas, the nearest first.</summary>
    public const string ShardSizes = "ShardSizes";

    /// <summary>The setting of the attribute that a new value is for.</summary>
    public const string Setting = "Setting";

    /// <summary>Present where <c>AllowPadding = true</c> makes the widths valid.</summary>
    public const string CanPad = "CanPad";

    /// <summary>Present where a product is all that the layer's <c>forward</c> does.</summary>
    public const string IsForward = "IsForward";

    /// <summary>Present where the argument can be taken out and leaves an attribute that still has a meaning.</summary>
    public const string CanRemove = "CanRemove";
}
