namespace Fossil.Models;

/// <summary>How weights are quantised that were loaded as floating-point numbers.</summary>
public enum WeightQuantization
{
    /// <summary>GGUF's Q8_0: blocks of 32 elements of eight bits with a scale, 8.5 bits a weight.</summary>
    Q8_0,

    /// <summary>GGUF's Q4_0: blocks of 32 elements of four bits with a scale, 4.5 bits a weight.</summary>
    Q4_0,

    /// <summary>bitsandbytes' nf4 with double quantisation (<c>load_in_4bit</c>, <c>bnb_4bit_use_double_quant</c>): blocks of 64 elements of four bits, whose scales are quantised too, 4.13 bits a weight.</summary>
    NF4,
}
