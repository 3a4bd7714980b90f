namespace Fossil.Models.Chat;

/// <summary>A conversation for fine-tuning.</summary>
/// <param name="Ids">The ids of the whole text.</param>
/// <param name="IsLearned">For each id, whether it belongs to an answer or its end, and so is to be learned.</param>
/// <param name="UnlearnedAnswers">
/// Which messages are answers and yet not learned (their indices), because the template writes them differently once others follow, as templates do that drop earlier thoughts: what stands in the
/// text is then not what the model would have answered.
/// </param>
public sealed record ChatExample(int[] Ids, bool[] IsLearned, IReadOnlyList<int> UnlearnedAnswers)
{
    /// <summary>The text that the template wrote.</summary>
    internal string Text { get; init; } = string.Empty;
}
