namespace Fossil;

/// <summary>Which bias vectors are trained and saved beside the adapter (PEFT: <c>bias</c>).</summary>
public enum AdapterBias
{
    /// <summary>None (<c>"none"</c>).</summary>
    None,

    /// <summary>Every one of the model (<c>"all"</c>).</summary>
    All,

    /// <summary>Those of the adapted modules (<c>"MiSS_only"</c>, <c>"lora_only"</c>).</summary>
    AdapterOnly,
}
